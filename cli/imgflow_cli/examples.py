"""What people type: one or two examples for each command, at the end of its help. A test runs them all."""

from __future__ import annotations

EXAMPLES: dict[str, tuple[str, ...]] = {
    "submit": (
        "imgflow submit -m Delft --source photos --steps scale:50%,grayscale",
        "imgflow submit -m Delft --where 'year > 2012' --sample 100",
    ),
    "plan": ("imgflow plan -m Delft --steps scale:512x512,blur:median",),
    "retry": ("imgflow retry @latest", "imgflow retry @latest --rejected"),
    "render": ("imgflow render -m Delft --prefix registry.example/imgflow- --tag 1.0.0",),
    "ingest": ("imgflow ingest photos -m Delft", "find photos -name '*.jpg' | imgflow ingest - -m Delft"),
    "boxes": ("imgflow boxes boxes.csv -m Delft", "imgflow boxes -m Delft -o csv > boxes.csv"),
    "process": ("imgflow process photos small --steps scale:1024x768",),
    "fetch": ("imgflow fetch @latest pictures",),
    "view": ("imgflow view", "imgflow view -m Delft --port 0"),
    "export": (
        "imgflow export out -m Delft --sample 2",
        "imgflow export out -m Delft --results",
        "imgflow export train -m Delft --as coco",
        "imgflow export map -m Delft --format geojson",
    ),
    "query": (
        "imgflow query 'SELECT municipality, count(*) FROM results GROUP BY 1'",
        "imgflow query 'SELECT * FROM results' -o csv > results.csv",
        "imgflow query 'SELECT image, label, score, side FROM findings ORDER BY side'",
    ),
    "evaluate": (
        "imgflow evaluate @latest truth.json --page evaluation.html",
        "imgflow evaluate @latest yolo -o json",
    ),
    "similar": ("imgflow similar 000.jpg -m Delft", "imgflow similar 000.jpg -m Delft --by dhash --limit 3"),
    "ls": ("imgflow ls --status failed --limit 5", "imgflow ls -o custom-columns=RUN:.run,DONE:.counts.processed"),
    "get": ("imgflow get @latest -o wide", "imgflow get @latest -o jsonpath='{.status}'"),
    "watch": ("imgflow watch @latest",),
    "report": ("imgflow report @latest", "imgflow report @latest -o report.html"),
    "why": ("imgflow why 000.jpg -m Delft", "imgflow why 000.jpg -m Delft --boxes found.jpg"),
    "tune": ("imgflow tune @latest",),
    "diff": ("imgflow diff first @latest --page differences.html",),
    "verify": ("imgflow verify @latest", "imgflow verify @latest --sample 100 -o json"),
    "logs": ("imgflow logs @latest --engine argo --failed",),
    "stop": ("imgflow stop @latest --engine argo",),
    "delete": ("imgflow delete first --yes",),
    "prune": ("imgflow prune", "imgflow prune --older-than 30d --yes"),
    "lint": ("imgflow lint --steps scale:50%,blur:median",),
    "doctor": ("imgflow doctor", "imgflow doctor @latest"),
    "try": ("imgflow try scale:320x240,blur:gaussian photos/000.jpg -o before-after.jpg",),
    "serve": ("imgflow serve",),
    "send": ("imgflow send photos/000.jpg small.jpg --steps scale:256x256",),
    "steps": ("imgflow steps", "imgflow steps scale"),
    "config": ("imgflow config --store s3://bucket/prefix",),
    "completion": ("imgflow completion bash > imgflow.bash",),
    "version": ("imgflow version -o wide",),
}


def epilog(name: str) -> str:
    """The examples of a command as typer prints them, each on a line of its own."""
    lines = EXAMPLES.get(name, ())
    return "\n".join(["\b", "Example:" if len(lines) == 1 else "Examples:", *(f"  {line}" for line in lines)])
