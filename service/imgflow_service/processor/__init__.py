"""A processor: pictures over gRPC or HTTP through computing processes, a bounded number of them at a time."""
