"""Services as child processes: started in order, checked, restarted, stopped."""
