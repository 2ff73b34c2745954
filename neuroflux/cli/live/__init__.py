"""What is shown, checked and confirmed before orders are sent to real exchanges."""
