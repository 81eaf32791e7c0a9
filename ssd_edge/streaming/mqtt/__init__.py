"""MQTT: detections, states and availability of a run, published at a broker."""
