"""The API by subject: each module has handlers for aiohttp; `app` puts them together."""
