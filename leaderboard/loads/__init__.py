"""What each page shows, as frames: index and store in, pandas out, one module a page. No streamlit here."""
