"""How a cluster is spoken to: Kubernetes, the Argo Server, and ports of pods."""
