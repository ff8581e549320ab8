"""People's own photos: references, parsing, pictures and files."""
