"""What flows: records, errors, document readers, the database. Imports nothing of ours."""
