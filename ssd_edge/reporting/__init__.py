"""Pages, charts and images for reports; knows no type of another room."""
