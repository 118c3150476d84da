"""Decide: what is to be done for a touched goal?"""
