"""Orient: which goals does an event touch?"""
