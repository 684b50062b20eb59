"""`taxiway monitor`: whether what a served version is asked, and what it answers, is still what it was trained for."""
