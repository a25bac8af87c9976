"""`flames-judge serve`: the guard in front of any OpenAI-compatible server.

    connection (protocol) -> gate (host, key, quota, headers, errors) -> route -> Guard -> upstream
                                                                            -> Guard -> caller

`app.routes` is the table of what is served; everything else is refused. `state.State` is what all
requests share; what belongs to one request lives in its `exchange.Exchange` or in local variables.
"""
