"""What is made of a stopped session on demand: its report, its corrected tables, one fused table."""
