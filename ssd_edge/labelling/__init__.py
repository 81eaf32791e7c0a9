"""Labels for images by the million: where they lie, what is done already, rows of detections in Parquet."""
