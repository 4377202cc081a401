"""The app: see the reasoning as it is made and scored, several searches side by side. `ui.build()` makes it, `app.py` serves it."""
