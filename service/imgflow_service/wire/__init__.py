"""What api, processor and jobs share: the messages between them, the words for errors, and how each listens.

``*_pb2*`` are written by protoc from ``service/proto``: ``make protos``.
"""
