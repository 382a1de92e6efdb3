"""What a person can do about each code that an image may end with."""

OTHER_REJECTED = "Look at the file itself; the message says what was wrong with it."
OTHER_FAILED = "Nothing is wrong with the image; see the message, then retry."

HINTS: dict[str, str] = {
    "changed": "The file was replaced after it was listed. Submit again: the new version is listed and computed.",
    "crashed": "A decoder or step died on this image, also when it was tried alone. The file is damaged or hostile.",
    "denied": "The store refused. Check the rights of the account behind the run's credentials.",
    "empty": "The file holds no bytes. Copy it again from where it came from.",
    "gone": "The file was deleted after it was listed. Submit again: it will not be listed any more.",
    "model-failed": "The model could not judge this picture; the message is its own.",
    "no-finder": "Nobody has looked for things in this picture. Put infer with a model that gives boxes before redact, "
    "or give its boxes with `imgflow boxes`; a row without coordinates says that there is nothing to cover.",
    "box-outside": "Give its boxes with `imgflow boxes` in pixels of the upright photograph, not of a smaller copy.",
    "nothing-found": "No thing to cover was found. Look at the picture; with none: keep it is published as it is.",
    "out-of-memory": "It needs more memory than a process may use. Raise the pipeline's limits.memory, or shrink it.",
    "outside": "The crop is outside the picture. Move it, or omit its position and it is centred.",
    "shard-lost": "The container that had these images ended before their turn; its logs say why.",
    "stalled": "The machine was overloaded, or a step waited for something. Give it time or cores, then retry.",
    "step-error": "A step has a fault, or its parameters do not fit these images. The message names the place.",
    "timeout": "It took more processor time than limits.seconds, twice. Raise it if such images are wanted.",
    "too-many-bytes": "The file is larger than the pipeline's limits.bytes. Raise it if such files are wanted.",
    "too-many-objects": "Not all that was found would have been covered. Raise most of infer, or look at the picture.",
    "too-many-pixels": "The picture is larger than the pipeline's limits.pixels. Raise it if such pictures are wanted.",
    "too-many-pieces": "Steps would make more pictures of it than limits.pieces allows. Cut larger ones, or raise it.",
    "too-small": "The picture has fewer pixels than it would be cut into. Cut it into fewer pieces.",
    "truncated": "The file ends in the middle of the picture: an upload or a disk was cut short. Copy it again.",
    "undecodable": "The file begins like a picture but does not hold one. Open it in a viewer, or copy it again.",
    "unencodable": "The output format cannot hold the result. Choose another one: png holds everything.",
    "unreadable": "The disk does not give the file back. Check the disk, copy the file there again, then retry.",
    "unsupported-format": "Not a kind of picture that is read, whatever its name; docs/pictures.md names those.",
    "unsupported-key": "The name itself cannot be stored everywhere. Rename the file.",
    "unsupported-mode": "Its colours are stored in a way that is not read. Save it as RGB or grey with 8 or 16 bits.",
}
