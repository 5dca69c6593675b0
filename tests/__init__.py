import tests.helpers.checker  # noqa: F401 - pytest names it by its path, which Python must have imported
