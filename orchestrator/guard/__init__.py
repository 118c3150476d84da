"""Guard: may it be done?"""
