"""The web page: what people do on it, within bounds, through nst_jax.jobs.

All but page and server is plain Python without Gradio, which the extra `app` brings.
"""
