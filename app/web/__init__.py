"""The web page: server-rendered pages over the product that the API serves."""
