"""The built-in model: how sharp, well exposed and contrasty an image is, from a stated formula.

With x the luma (0 to 255), m its mean and s its standard deviation:

    exposure   m / 255
    contrast   s / 127.5      RMS contrast (Peli 1990), as a share of the most there can be
    sharpness  v / (v + 100)  v: variance of the Laplacian (Pech-Pacheco et al. 2000)

The Laplacian is x[above] + x[below] + x[left] + x[right] - 4 x[here], with the border repeated outwards. So
each difference of two neighbours occurs once with either sign, the mean is zero, and v is the mean of the
squares; an image of one pixel has v = 0. The label is the first of these that holds:

    dark       exposure < 0.2
    bright     exposure > 0.8
    flat       contrast < 0.12
    blurred    sharpness < 0.5, which is v < 100
    good

The thresholds are for photographs of about 1024x768: there v is above 170 for sharp ones, and below 50 once
they are blurred by a Gaussian of 1.5 pixels. Darkness and flatness are asked first because they hide detail.
To this formula noise is detail.

    Peli, E. (1990): Contrast in complex images. Journal of the Optical Society of America A 7(10).
    Pech-Pacheco, J. L. et al. (2000): Diatom autofocusing in brightfield microscopy: a comparative study. ICPR.

``python -m imgflow_steps.infer.quality`` writes ``quality.onnx`` beside this file; it needs the package onnx.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from onnx import checker, helper, parser

if TYPE_CHECKING:
    from onnx import ModelProto

MODEL = Path(__file__).with_name("quality.onnx")
LABELS = ("good", "dark", "bright", "flat", "blurred")

# IR 8 and opset 13 are of 2021, so any ONNX Runtime of today reads them. The Laplacian is made of slices: ONNX
# Runtime pads a convolution of one channel to 8 or 16, which is slower and takes gigabytes for a photograph that
# was not scaled. Means go along rows first: float32 sums of a few thousand terms keep six digits, of millions not.
GRAPH = """
<ir_version: 8, opset_import: ["": 13], producer_name: "imgflow", model_version: 1>
quality (float[1, 1, height, width] luma)
    => (int64[1] label, float[1] sharpness, float[1] exposure, float[1] contrast)
<
    int64[8] border = {0, 0, 1, 1, 0, 0, 1, 1}, int64[2] rows_columns = {2, 3},
    int64[2] above_from = {0, 1}, int64[2] above_to = {-2, -1},
    int64[2] below_from = {2, 1}, int64[2] below_to = {2147483647, -1},
    int64[2] left_from = {1, 0}, int64[2] left_to = {-1, -2},
    int64[2] right_from = {1, 2}, int64[2] right_to = {-1, 2147483647},
    float four = {4}, float half_sharp = {100}, float white = {255}, float half_white = {127.5}, float one = {1},
    float dark_below = {0.2}, float bright_above = {0.8}, float flat_below = {0.12}, float blurred_below = {0.5},
    int64[1] good = {0}, int64[1] dark = {1}, int64[1] bright = {2}, int64[1] flat = {3}, int64[1] blurred = {4}
>
{
    padded = Pad <mode = "edge"> (luma, border)
    above = Slice (padded, above_from, above_to, rows_columns)
    below = Slice (padded, below_from, below_to, rows_columns)
    above_below = Add (above, below)
    left = Slice (padded, left_from, left_to, rows_columns)
    three = Add (above_below, left)
    right = Slice (padded, right_from, right_to, rows_columns)
    neighbours = Add (three, right)
    four_times = Mul (luma, four)
    laplacian = Sub (neighbours, four_times)
    laplacian_squared = Mul (laplacian, laplacian)
    v_rows = ReduceMean <axes = [3], keepdims = 0> (laplacian_squared)
    v = ReduceMean <axes = [1, 2], keepdims = 0> (v_rows)
    v_more = Add (v, half_sharp)
    sharpness = Div (v, v_more)

    m_rows = ReduceMean <axes = [3], keepdims = 0> (luma)
    m = ReduceMean <axes = [1, 2], keepdims = 0> (m_rows)
    exposure = Div (m, white)

    deviation = Sub (luma, m)
    deviation_squared = Mul (deviation, deviation)
    variance_rows = ReduceMean <axes = [3], keepdims = 0> (deviation_squared)
    variance = ReduceMean <axes = [1, 2], keepdims = 0> (variance_rows)
    s = Sqrt (variance)
    share = Div (s, half_white)
    contrast = Min (share, one)

    is_blurred = Less (sharpness, blurred_below)
    good_blurred = Where (is_blurred, blurred, good)
    is_flat = Less (contrast, flat_below)
    good_blurred_flat = Where (is_flat, flat, good_blurred)
    is_bright = Greater (exposure, bright_above)
    all_but_dark = Where (is_bright, bright, good_blurred_flat)
    is_dark = Less (exposure, dark_below)
    label = Where (is_dark, dark, all_but_dark)
}
"""


def build() -> ModelProto:
    """The model, with its labels and this text as metadata. The same bytes on every machine."""
    model = parser.parse_model(GRAPH)
    helper.set_model_props(
        model, {"name": "imgflow image quality", "labels": json.dumps(LABELS), "description": __doc__ or ""}
    )
    checker.check_model(model, full_check=True)
    return model


if __name__ == "__main__":
    MODEL.write_bytes(build().SerializeToString(deterministic=True))
