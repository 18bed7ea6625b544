"""Which chunks: chunking, indexes, fusion, snapshots and one readable `retrieve()`."""
