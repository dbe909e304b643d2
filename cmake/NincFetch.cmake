# Downloads the headers that NincDependencies found missing, pinned to a commit. What comes out is
# NINC_HWY_HEADERS and NINC_JSON_INCLUDE_DIR, or one message that says what to install: the network
# is asked first, so that a machine without it ends with that message and not with git's.

function(ninc_give_up reason)
  list(JOIN NINC_MISSING "\n  - " missing)
  message(FATAL_ERROR "These headers are needed to build ninc and were not found:\n  - ${missing}\n"
                      "  They were not downloaded: ${reason}.")
endfunction()

if(NOT NINC_FETCH)
  ninc_give_up("NINC_FETCH is OFF")
endif()

if(NOT NINC_HWY_HEADERS)
  set(NINC_HWY_REPOSITORY https://github.com/google/highway.git)
  if(NOT EXISTS ${FETCHCONTENT_BASE_DIR}/ninc_highway-src/hwy/highway.h)  # fetched before
    find_package(Git QUIET)
    if(NOT GIT_FOUND)
      ninc_give_up("there is no git")
    endif()
    execute_process(COMMAND ${CMAKE_COMMAND} -E env GIT_TERMINAL_PROMPT=0
                            ${GIT_EXECUTABLE} ls-remote ${NINC_HWY_REPOSITORY} HEAD
                    TIMEOUT 30 RESULT_VARIABLE result OUTPUT_QUIET ERROR_QUIET)
    if(NOT result EQUAL 0)
      ninc_give_up("${NINC_HWY_REPOSITORY} cannot be reached")
    endif()
  endif()
  message(STATUS "Highway: fetching 1.0.3")
  FetchContent_Declare(ninc_highway
      GIT_REPOSITORY ${NINC_HWY_REPOSITORY}
      GIT_TAG 58746ca5b9f9444a2a3549704602ecc6239f8f41  # 1.0.3
      SOURCE_SUBDIR headers-only)  # no such folder: fetched but not added to the build
  FetchContent_MakeAvailable(ninc_highway)
  set(NINC_HWY_HEADERS ${ninc_highway_SOURCE_DIR})
endif()

if(NOT NINC_JSON AND NOT EXISTS "${NINC_JSON_INCLUDE_DIR}/nlohmann/json.hpp")
  set(NINC_JSON_INCLUDE_DIR ${FETCHCONTENT_BASE_DIR}/ninc_json)
  set(NINC_JSON_FILE ${NINC_JSON_INCLUDE_DIR}/nlohmann/json.hpp)
  if(NOT EXISTS ${NINC_JSON_FILE})
    message(STATUS "nlohmann-json: fetching 3.11.3")
    set(NINC_JSON_URL https://raw.githubusercontent.com/nlohmann/json/9cca280a4d0ccf0c08f47a99aa71d1b0e52f8d03/single_include/nlohmann/json.hpp)
    file(DOWNLOAD ${NINC_JSON_URL} ${NINC_JSON_FILE}.part INACTIVITY_TIMEOUT 30 STATUS status)
    list(POP_FRONT status result)
    if(NOT result EQUAL 0)
      ninc_give_up("${NINC_JSON_URL}: ${status}")
    endif()
    file(SHA256 ${NINC_JSON_FILE}.part hash)
    if(NOT hash STREQUAL 9bea4c8066ef4a1c206b2be5a36302f8926f7fdc6087af5d20b417d0cf103ea6)
      ninc_give_up("${NINC_JSON_URL} is another file than expected")
    endif()
    file(RENAME ${NINC_JSON_FILE}.part ${NINC_JSON_FILE})
  endif()
endif()
