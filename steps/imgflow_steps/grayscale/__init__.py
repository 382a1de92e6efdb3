"""Throw the colour away."""

from imgflow_steps.contract.step import Params, Step


class Grayscale(Params):
    """Keep the luma of an image (ITU-R BT.601), and its alpha."""


STEP = Step(name="grayscale", params=Grayscale, version=1, drops_colour=True, keeps_size=True)
