"""Homework: one folder each, and the grader that all of them share."""
