"""Tables, plots and the page that a run leaves behind."""
