"""Who people are and which account acts for them."""
