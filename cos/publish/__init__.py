"""What goes up to the Hugging Face Hub: models, data sets and the app. The way back is `cos/models/hub.py`."""
