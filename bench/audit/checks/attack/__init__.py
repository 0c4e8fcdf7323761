"""Checks of the attack: does a stronger one exist?"""
