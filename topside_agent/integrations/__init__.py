"""Results in the form that other programs read: Home Assistant, BlueOS."""
