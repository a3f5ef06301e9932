"""Attack art: pictures changed so little that people still see them, and networks do not."""
