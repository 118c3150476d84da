"""Texts in, ranked texts out: hashed n-grams through Chroma, and words through BM25. Knows nothing of goals or events.

Works offline and in any script; no model is ever fetched. Importing it is light: numpy and Chroma load when a retriever
is opened.
"""
