"""Corrects recorded timestamps: from a vehicle's wall clock to topside's, with the error each can have."""
