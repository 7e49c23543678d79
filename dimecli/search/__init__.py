"""Searching the sentences of a grammar for good ones: space, oracle, budget, log and resume.

What a search plugin shares with others is here too: surrogates, believers, moves on the sphere.
"""
