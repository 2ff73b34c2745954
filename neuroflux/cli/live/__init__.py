"""What is shown, checked and confirmed before orders go to real exchanges."""
