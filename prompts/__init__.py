"""What we say: versioned templates and their registry. Imports only `data`."""
