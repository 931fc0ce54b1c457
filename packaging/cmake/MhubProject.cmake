# SPDX-License-Identifier: Apache-2.0
# Project-wide settings and the two functions that every room's CMakeLists.txt uses.
include(GNUInstallDirs)
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
set(CMAKE_LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)

find_program(CCACHE ccache)
if(CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE})
endif()

find_package(Threads REQUIRED)

add_library(mhub_options INTERFACE)
target_compile_options(mhub_options INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor
                                              -fstack-protector-strong)
# GCC 12 at -O3 warns of overlapping copies in std::string that are not there (GCC bug 105651).
target_compile_options(mhub_options INTERFACE $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>)
# What users get does not name the folder that it was built in: two clones give the same bytes.
add_compile_options("$<$<AND:$<COMPILE_LANGUAGE:CXX>,$<CONFIG:Release>>:-ffile-prefix-map=${PROJECT_SOURCE_DIR}/=>")
option(MHUB_WERROR "Warnings are errors (the development presets; a user's compiler may know other warnings)" OFF)
if(MHUB_WERROR)
  target_compile_options(mhub_options INTERFACE -Werror)
endif()
target_compile_definitions(mhub_options INTERFACE MHUB_VERSION="${PROJECT_VERSION}")
target_link_libraries(mhub_options INTERFACE Threads::Threads)

set(MHUB_SANITIZE "" CACHE STRING "Sanitizers for -fsanitize=, e.g. address,undefined or thread")
if(MHUB_SANITIZE)
  add_compile_options(-fsanitize=${MHUB_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${MHUB_SANITIZE})
  # GCC 12 sees uninitialized members of std::function in instrumented std::regex that are not there.
  target_compile_options(mhub_options INTERFACE -Wno-maybe-uninitialized)
  # A library of ours may be preloaded into a sanitized program only behind the sanitizer's own.
  if(MHUB_SANITIZE MATCHES "thread")
    set(runtime libtsan.so)
  else()
    set(runtime libasan.so)
  endif()
  execute_process(COMMAND ${CMAKE_CXX_COMPILER} -print-file-name=${runtime}
                  OUTPUT_VARIABLE runtime OUTPUT_STRIP_TRAILING_WHITESPACE)
  file(REAL_PATH ${runtime} runtime)
  set(MHUB_PRELOAD_PREFIX "${runtime}:")
else()
  add_compile_definitions($<$<NOT:$<CONFIG:Debug>>:_FORTIFY_SOURCE=2>)
endif()
add_compile_definitions($<$<NOT:$<CONFIG:Release>>:_GLIBCXX_ASSERTIONS>)

# Optional folder with reference results of other implementations (models/, fixtures/, tokenizers/, templates/). Tests
# that find it compare with it; without it they use only what the repository makes.
set(MHUB_SHARED_DIR "" CACHE PATH "Folder of reference models and results for tests (optional)")
if(NOT MHUB_SHARED_DIR AND IS_DIRECTORY ${PROJECT_SOURCE_DIR}/../shared/models)
  get_filename_component(MHUB_SHARED_DIR ${PROJECT_SOURCE_DIR}/../shared ABSOLUTE)
endif()

# The demo model, where packaging/test.sh or packaging/demo.sh has fetched it, and another one, of 240 MB, that nothing
# fetches by itself (CONTRIBUTING.md). Sanitized kernels are too slow for them.
set(real_models ${PROJECT_SOURCE_DIR}/.demo)
if(MHUB_SANITIZE)
  set(real_models ${PROJECT_BINARY_DIR}/no-real-models)
endif()
set(MHUB_SMOLLM2_GGUF ${real_models}/SmolLM2-135M-Instruct.Q4_1.gguf CACHE FILEPATH "Real model for tests (optional)")
set(MHUB_GEMMA3_GGUF ${real_models}/gemma-3-270m-q4_k_m.gguf CACHE FILEPATH "Second real model for tests (optional)")

# mhub_add_library(<room> SOURCES a.cpp ... LINK <public targets> PRIVATE_LINK <private targets>)
# makes target mhub_<room> with alias mhub::<room> and the folder's include/ as its public include path.
function(mhub_add_library room)
  cmake_parse_arguments(A "" "" "SOURCES;LINK;PRIVATE_LINK" ${ARGN})
  add_library(mhub_${room} STATIC ${A_SOURCES})
  add_library(mhub::${room} ALIAS mhub_${room})
  target_include_directories(mhub_${room} PUBLIC ${CMAKE_CURRENT_SOURCE_DIR}/include PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
  target_link_libraries(mhub_${room} PUBLIC ${A_LINK} PRIVATE mhub_options ${A_PRIVATE_LINK})
endfunction()

# mhub_add_test(<name> LABEL unit|contract|e2e|gpu SOURCES a_test.cpp ... LINK <targets>)
# one GoogleTest program and one ctest entry. Every source is remembered for the "is it built" check of tests/.
function(mhub_add_test name)
  cmake_parse_arguments(A "" "LABEL;TIMEOUT" "SOURCES;LINK;ARGS" ${ARGN})
  if(NOT A_LABEL)
    set(A_LABEL unit)
  endif()
  if(NOT A_TIMEOUT)
    set(A_TIMEOUT 300)
  endif()
  if(MHUB_SANITIZE)
    math(EXPR A_TIMEOUT "4 * ${A_TIMEOUT}")
  endif()
  add_executable(${name} ${A_SOURCES})
  target_link_libraries(${name} PRIVATE mhub_options ${A_LINK} GTest::gtest GTest::gmock GTest::gtest_main)
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/tests)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  add_test(NAME ${name} COMMAND ${name} ${A_ARGS})
  set_tests_properties(${name} PROPERTIES LABELS ${A_LABEL} TIMEOUT ${A_TIMEOUT}
    ENVIRONMENT "MHUB_SOURCE_DIR=${PROJECT_SOURCE_DIR};MHUB_BIN=${CMAKE_BINARY_DIR}/bin/mhub;MHUB_SHARED_DIR=${MHUB_SHARED_DIR};MHUB_SMOLLM2_GGUF=${MHUB_SMOLLM2_GGUF};MHUB_GEMMA3_GGUF=${MHUB_GEMMA3_GGUF}")
  foreach(source ${A_SOURCES})
    get_filename_component(absolute ${source} ABSOLUTE)
    set_property(GLOBAL APPEND PROPERTY MHUB_TEST_SOURCES ${absolute})
  endforeach()
endfunction()
