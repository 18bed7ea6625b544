"""The product: settings, wiring, the RAG graph, HTTP API, web pages, commands."""
