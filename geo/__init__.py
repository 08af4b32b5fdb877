"""Places: positions, distances, districts, streets, and how close two places are."""
