"""What each page looks like: widgets in, frames and charts shown, one module a page."""
