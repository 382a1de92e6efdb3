"""Write the Python of the protos into ``imgflow_service/wire``; a test compares it with what is committed.

make protos
"""

from __future__ import annotations

import sys
from pathlib import Path

from grpc_tools import protoc

HERE = Path(__file__).parent
PLACES = {"proto/imgflow/v1": ["processor.proto"], "proto": ["imagescaler.proto"]}


def generate(target: Path) -> None:
    """The modules of all protos, below ``target`` as below this folder."""
    for place, names in PLACES.items():
        for name in names:
            code = protoc.main(
                [
                    "protoc",
                    f"--proto_path=imgflow_service/wire={HERE / place}",
                    f"--python_out={target}",
                    f"--pyi_out={target}",
                    f"--grpc_python_out={target}",
                    f"imgflow_service/wire/{name}",
                ]
            )
            if code:
                sys.exit(f"protoc does not read {place}/{name}; it has said why")


if __name__ == "__main__":
    generate(HERE)
