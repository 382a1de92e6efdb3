"""The front: HTTP, gRPC for clients of imagescaler.ImageScaler, admission, cache. It computes nothing."""
