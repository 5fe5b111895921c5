"""A session's tables on one time axis, topside's."""
