"""The image service: a picture in, a picture out, now. HTTP and gRPC in front of processors that share the load."""
