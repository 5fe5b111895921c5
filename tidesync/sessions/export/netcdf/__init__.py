"""`tidesync export --format netcdf`: corrected tables and tracks after CF, ACDD and NCEI's templates."""
