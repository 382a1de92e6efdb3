"""What happens to an image, and the contract every container keeps."""

__version__ = "0.1.0"
