"""The compose project and the images, on a real engine."""
