"""Bots that live elsewhere: messages go to them as signed POSTs, and what they answer goes to the chat."""
