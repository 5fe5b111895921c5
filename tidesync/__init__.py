"""What people start: the command line, the demo, the doctor, the dashboard, recorded sessions."""
