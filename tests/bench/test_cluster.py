from __future__ import annotations

from bench.cluster import compared


def test_layouts_are_held_against_one_pod_for_each_image_and_step() -> None:
    fused, steps = compared({"pods": [40.0, 60.0, 50.0], "fused": [1.0, 2.0, 1.0], "steps": [2.0, 2.0, 5.0]}, "Cluster")

    assert (fused.ratio, fused.goal, fused.reached) == (40, 20, True)
    assert (steps.ratio, steps.goal, steps.reached) == (20, None, None)
